"""What a mail service tells later of a mail that it took: delivered, bounced, complained of.

A request is verified and read here, by way of django-anymail; then the report changes the mail's row.
"""
