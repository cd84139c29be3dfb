-- Where no job is wanted.
laned AS NOT MATERIALIZED (SELECT false AS found),
picked AS NOT MATERIALIZED (SELECT NULL::uuid AS id, false AS late WHERE false),
to_come AS NOT MATERIALIZED (SELECT NULL::timestamptz AS ready_at),
