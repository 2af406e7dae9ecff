//! The fuzz targets over their corpus and seeded inputs.
