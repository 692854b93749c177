//go:build tools

// Package tools names the nats command line tool, so that go.mod and go.sum hold what it is built of.
package tools

import _ "github.com/nats-io/natscli/nats"
