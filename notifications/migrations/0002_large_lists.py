from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0002_large_lists"),
        ("notifications", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(fields=["created_at", "id", "kind"], name="notifications_list"),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(fields=["organization", "created_at", "id", "kind"], name="notifications_list_of_org"),
        ),
        migrations.AddIndex(
            model_name="pushmessage",
            index=models.Index(fields=["created_at", "id", "state"], name="notifications_push_list"),
        ),
        migrations.AddIndex(
            model_name="smsmessage",
            index=models.Index(fields=["created_at", "id", "state"], name="notifications_sms_list"),
        ),
        migrations.AddIndex(
            model_name="smsmessage",
            index=models.Index(
                fields=["organization", "created_at", "id", "state"], name="notifications_sms_list_of_org"
            ),
        ),
        migrations.AddIndex(
            model_name="smsmessage",
            index=models.Index(fields=["to"], name="notifications_sms_to"),
        ),
    ]
