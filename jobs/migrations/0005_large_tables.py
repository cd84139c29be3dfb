from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0004_worker_health"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="job",
            name="jobs_task",
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["task", "id", "queue"], name="jobs_task"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(condition=models.Q(("key__isnull", False)), fields=["key", "id"], name="jobs_key"),
        ),
    ]
