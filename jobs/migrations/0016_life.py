from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0015_facts")]

    operations = [
        migrations.AddField("queuestate", "life", models.CharField(db_default="", default="", max_length=100)),
    ]
