"""What operators change in the catalogue while the site runs. Each change NOTIFYs all processes after its commit."""
