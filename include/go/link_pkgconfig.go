//go:build cgo && flagstore_pkgconfig

package flagstore

// #cgo pkg-config: flagstore
import "C"
