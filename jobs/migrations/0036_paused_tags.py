from django.db import migrations, models


def widen(apps, schema_editor):
    """A lane has room for a tag; sorted by bytes as before. SQLite knows no length."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE jobs_job ALTER COLUMN lane TYPE varchar(411) COLLATE "C"')


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0035_task_stats"),
    ]

    operations = [
        migrations.AddField(
            model_name="queuestate",
            name="paused_tags",
            field=models.TextField(blank=True, db_default="", default="", verbose_name="paused tags"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(widen, migrations.RunPython.noop)],
            state_operations=[
                migrations.AlterField(
                    model_name="job",
                    name="lane",
                    field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=411),
                ),
            ],
        ),
    ]
