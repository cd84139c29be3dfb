-- Where no settlement does.
may_note AS NOT MATERIALIZED (SELECT WHERE false),
