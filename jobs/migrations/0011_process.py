from django.db import migrations


class Migration(migrations.Migration):
    """The table of living processes holds supervisors and keepers too: it says so now."""

    dependencies = [("jobs", "0010_contract")]

    operations = [
        migrations.RenameModel("Worker", "Process"),
        migrations.RenameIndex("process", new_name="jobs_process_lease", old_name="jobs_worker_lease"),
        migrations.AlterModelOptions("process", {"verbose_name": "process", "verbose_name_plural": "processes"}),
    ]
