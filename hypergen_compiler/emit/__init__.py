"""Program, layout and plan to text: one module per emitted file, expressions built here, prose in `templates/`."""
