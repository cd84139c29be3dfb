import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0002_erasure"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="lead",
            name="leads_newest",
        ),
        migrations.RemoveIndex(
            model_name="lead",
            name="leads_by_status",
        ),
        migrations.RemoveIndex(
            model_name="submission",
            name="leads_submissions_by_state",
        ),
        migrations.AddField(
            model_name="lead",
            name="name_key",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.text.Lower("name"),
                output_field=models.CharField(max_length=200),
                verbose_name="name, in small letters",
            ),
        ),
        migrations.AddIndex(
            model_name="crmdelivery",
            index=models.Index(fields=["created_at", "id", "state"], name="leads_deliveries_list"),
        ),
        migrations.AddIndex(
            model_name="crmdelivery",
            index=models.Index(
                fields=["organization", "created_at", "id", "state"], name="leads_deliveries_list_of_org"
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(fields=["created_at", "id", "status", "source"], name="leads_list"),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                fields=["organization", "created_at", "id", "status", "source"], name="leads_list_of_org"
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(fields=["email_key"], name="leads_email_begins", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(fields=["name_key"], name="leads_name_begins", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.AddIndex(
            model_name="submission",
            index=models.Index(fields=["received_at", "id", "state", "channel"], name="leads_submissions_list"),
        ),
        migrations.AddIndex(
            model_name="submission",
            index=models.Index(
                fields=["organization", "received_at", "id", "state", "channel"], name="leads_submissions_list_of_org"
            ),
        ),
    ]
