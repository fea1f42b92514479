//go:build !cgo

package flagstore

// Go leaves out every other file of the package when cgo is off. This one says so, by a name that does not exist.
var _ = flagstore_needs_cgo__set_CGO_ENABLED_to_1_and_install_a_C_compiler
