//go:build tools

// Package tools names Helm, so that go.mod and go.sum hold what it is built of.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
