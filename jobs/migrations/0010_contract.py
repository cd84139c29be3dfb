from django.db import migrations, models


def store_priorities(apps, schema_editor):
    """1 to 10 become fixed points on -100 to 100, larger first."""
    schema_editor.execute("UPDATE jobs_job SET priority = (5 - priority) * 20")


def show_priorities(apps, schema_editor):
    schema_editor.execute("UPDATE jobs_job SET priority = CASE WHEN priority > 80 THEN 1 ELSE 5 - priority / 20 END")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0009_trouble")]

    operations = [
        migrations.RemoveIndex("job", "jobs_ready"),
        migrations.RemoveConstraint("job", "jobs_priority"),
        migrations.AlterField("job", "priority", models.SmallIntegerField(db_column="priority", default=0)),
        migrations.RenameField("job", "priority", "stored_priority"),
        migrations.AlterField(
            "job",
            "stored_priority",
            models.SmallIntegerField(db_column="priority", default=0, verbose_name="priority"),
        ),
        migrations.RunPython(store_priorities, show_priorities, elidable=False),
        migrations.AddField(
            "job",
            "scope",
            models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="scope"),
        ),
        migrations.AddField(
            "job",
            "group",
            models.CharField(blank=True, db_default="", default="", max_length=100, verbose_name="group"),
        ),
        migrations.AddField(
            "job", "tags", models.CharField(blank=True, db_default="", default="", max_length=500, verbose_name="tags")
        ),
        migrations.AddField("worker", "exchange_number", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("worker", "exchanged_at", models.DateTimeField(null=True)),
        migrations.AddField("worker", "reply", models.TextField(db_default="", default="")),
        migrations.AddField("worker", "ending", models.CharField(db_default="", default="", max_length=12)),
        migrations.AddConstraint(
            "job",
            models.CheckConstraint(
                condition=models.Q(("stored_priority__gte", -100), ("stored_priority__lte", 100)), name="jobs_priority"
            ),
        ),
        migrations.AddIndex(
            "job",
            models.Index(
                condition=models.Q(("alone", False), ("state", "queued")),
                fields=["queue", "stored_priority", "ready_at", "id"],
                name="jobs_ready",
            ),
        ),
        migrations.AddIndex(
            "job",
            models.Index(condition=models.Q(("scope", ""), _negated=True), fields=["scope", "id"], name="jobs_scope"),
        ),
        migrations.AddIndex(
            "job",
            models.Index(
                condition=models.Q(("group", ""), _negated=True), fields=["queue", "group", "id"], name="jobs_group"
            ),
        ),
        migrations.AddIndex(
            "job",
            models.Index(condition=models.Q(("tags", ""), _negated=True), fields=["tags", "id"], name="jobs_tags"),
        ),
    ]
