from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0012_every_scope")]

    operations = [
        migrations.AddField("process", "news_dropped", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddField("process", "news_dropped_at", models.DateTimeField(null=True)),
    ]
