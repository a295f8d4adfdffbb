//go:build tools

// Package tools pins what the sandbox builds when it cannot be downloaded.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
