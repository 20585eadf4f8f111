"""Studies: what is asked, what was recorded, and what it says. Imports neither Ray, torch nor
plotly.
"""
