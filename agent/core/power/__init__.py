"""Power meters' protocols and samples, without any port."""
