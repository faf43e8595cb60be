package zinit

import (
	"context"
	"slices"
	"testing"

	"herosup/zinit/wire"
)

// Who is told to end in the middle of a removal ends that first. Who is killed there leaves a service
// that is listed, and can be removed: one that is forgotten and whose file is there is in nobody's list, and
// started by the next zinit.
func TestDropIsNotLeftInItsMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newPeer(t, func(r wire.Request) (string, bool) {
		if r.Method == "service_delete" {
			cancel()
		}
		return answered(r, `{}`), false
	})
	z := NewClient(p.socket, Options{Dialect: JSONRPC})
	t.Cleanup(z.Close)
	err := drop(ctx, z, "x", nil)
	if calls := p.seen(); err != nil || !slices.Equal(calls[len(calls)-2:], []string{"service_delete", "service_forget"}) {
		t.Errorf("%v; called: %q", err, calls)
	}
}
