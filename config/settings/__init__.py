"""The project's settings: `site` reads the environment, `test` does not."""
