//! Skerry: virtual clusters, one inventory, placement that explains itself.
