//go:build programs

// Package programs names mesos-go's programs, so that they and what they need are pinned in go.mod and go.sum. Nothing of it
// is built.
package programs

import (
	_ "github.com/mesos/mesos-go/api/v1/cmd/example-executor"
	_ "github.com/mesos/mesos-go/api/v1/cmd/example-scheduler"
	_ "github.com/mesos/mesos-go/api/v1/cmd/msh"
	_ "github.com/mesos/mesos-go/api/v1/cmd/mwatch"
)
