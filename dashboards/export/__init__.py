"""The study page as files: one HTML file, or PNG pictures."""
