from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0005_large_tables")]

    operations = [
        migrations.AddIndex(
            "job",
            models.Index(
                fields=["queue", "state", "ended_at", "id"],
                condition=models.Q(("ended_at__isnull", False)),
                name="jobs_ended",
            ),
        ),
    ]
