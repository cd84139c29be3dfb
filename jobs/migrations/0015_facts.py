from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0014_active_queue")]

    operations = [
        migrations.AddField("queuestate", "generation", models.CharField(db_default="", default="", max_length=32)),
        migrations.AddField("queuestate", "merged", models.CharField(db_default="", default="", max_length=40)),
    ]
