package zinit

import (
	"context"
	"slices"
	"testing"

	"herosup/zinit/wire"
)

// Who is told to end in the middle of a removal ends that first: a service that is
// forgotten and whose file is there is in nobody's list.
func TestDropIsNotLeftInItsMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := newPeer(t, func(r wire.Request) (string, bool) {
		if r.Method == "service_forget" {
			cancel()
		}
		return answered(r, `{}`), false
	})
	z := NewClient(p.socket, Options{Dialect: JSONRPC})
	t.Cleanup(z.Close)
	err := drop(ctx, z, "x", nil)
	if calls := p.seen(); err != nil || !slices.Contains(calls, "service_delete") {
		t.Errorf("%v; called: %q", err, calls)
	}
}
