from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("emails", "0001_initial"),
        ("leads", "0003_large_lists"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="emailmessage",
            name="emails_newest",
        ),
        migrations.AddIndex(
            model_name="emailmessage",
            index=models.Index(fields=["created_at", "id", "kind", "state"], name="emails_list"),
        ),
        migrations.AddIndex(
            model_name="emailmessage",
            index=models.Index(fields=["organization", "created_at", "id", "kind", "state"], name="emails_list_of_org"),
        ),
        migrations.AddIndex(
            model_name="emailmessage",
            index=models.Index(fields=["kind", "created_at", "id", "state"], name="emails_list_of_kind"),
        ),
        migrations.AddIndex(
            model_name="emailmessage",
            index=models.Index(fields=["to", "organization"], name="emails_to"),
        ),
        migrations.AddIndex(
            model_name="emailmessage",
            index=models.Index(fields=["campaign", "state"], name="emails_of_campaign"),
        ),
    ]
