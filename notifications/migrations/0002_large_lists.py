import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def fill_organization(apps, schema_editor):
    """A push message belongs where its notification does."""
    Notification = apps.get_model("notifications", "Notification")
    PushMessage = apps.get_model("notifications", "PushMessage")
    owner = Notification.objects.filter(pk=models.OuterRef("notification")).values("organization")
    PushMessage.objects.using(schema_editor.connection.alias).update(organization=models.Subquery(owner))


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0003_large_lists"),
        ("notifications", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="pushmessage",
            name="organization",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="leads.organization",
                verbose_name="organization",
            ),
        ),
        migrations.RunPython(fill_organization, migrations.RunPython.noop, elidable=True),
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
            model_name="pushmessage",
            index=models.Index(
                fields=["organization", "created_at", "id", "state"], name="notifications_push_list_of_org"
            ),
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
            index=models.Index(fields=["to", "organization"], name="notifications_sms_to"),
        ),
    ]
