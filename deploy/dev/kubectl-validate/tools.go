//go:build tools

// Package tools names kubectl-validate, so that go.mod and go.sum hold what it is built of.
package tools

import _ "sigs.k8s.io/kubectl-validate"
