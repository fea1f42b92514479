//go:build cgo && !flagstore_pkgconfig

package flagstore

// pkg-config is not asked unless the build says so: cgo would fail where it is missing, whatever CGO_LDFLAGS says.

// #cgo LDFLAGS: -lflagstore
import "C"
