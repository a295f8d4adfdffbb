//go:build tools

// Package tools pins what the sandbox builds when it cannot be downloaded.
package tools

import _ "go.etcd.io/etcd/server/v3"
