//go:build tools

// Package tools pins what the sandbox builds when it cannot be downloaded.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
