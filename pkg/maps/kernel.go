package maps

// Kernel is Tables over the maps of the kernel.
type Kernel struct{ *store }
