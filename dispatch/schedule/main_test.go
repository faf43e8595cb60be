package schedule

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server/ats"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The server's shared ticker must not be born in a bubble (research/nats.md 12).
	ats.Register()
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
