"""Reports as pages: sections of tables, plots and text, as HTML or Markdown."""
