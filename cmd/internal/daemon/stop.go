package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"herosup/cmd/internal/redisd"
	"herosup/cmd/internal/state"
	"herosup/zinit"
)

// redisEnd is how long a Redis may take to write down what it holds.
const redisEnd = 10 * time.Second

// StopServices ends every service of the state folder in the process manager,
// actors before Redis, and actors that it has lost sight of, and removes their files;
// then the process manager itself if it is ours. It does not wait for jobs: the daemon drains the actors before.
// It also cleans up behind a daemon that was killed.
func StopServices(ctx context.Context, f *state.Folder, z *zinit.Client, ours bool) error {
	list, err := z.List(ctx)
	if err != nil {
		return fmt.Errorf("stop services: %w", err)
	}
	var names []string
	for n := range list {
		if strings.HasPrefix(n, f.ServicePrefix()) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		// Redis last: an actor that ends a job wants to say so.
		if ra, rb := a == f.Service(redisService), b == f.Service(redisService); ra != rb {
			if ra {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	// All are stopped before one is removed: a zinit of the crate dialect may lose
	// a service that runs when another is removed.
	var faults []error
	each := func(verb string, step func(context.Context, string) error) (done []string) {
		for _, n := range names {
			if err := step(ctx, n); err != nil {
				faults = append(faults, fmt.Errorf("%s %s: %w", verb, n, err))
				continue
			}
			done = append(done, n)
		}
		return done
	}
	names = each("stop", z.Stop)
	if len(faults) == 0 { // otherwise some are zinit's, and not left over
		if err := zinit.EndLeftovers(ctx, f.ServicePrefix(), f.Dir, zinit.DefaultShutdownTimeout); err != nil {
			faults = append(faults, err)
		}
	}
	if err := redisd.End(ctx, f.Path("redis"), redisEnd); err != nil { // one that zinit has lost sight of
		faults = append(faults, err)
	}
	each("remove", z.Remove)
	if len(faults) > 0 || !ours || !keepsFolder(f) {
		return errors.Join(faults...)
	}
	if err := z.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop zinit: %w", err)
	}
	return gone(ctx, f.Socket("zinit"))
}

// gone waits until nobody answers on the socket. It ends with its process.
func gone(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, zinitStart)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		z, err := zinit.Dial(ctx, socket, zinit.Options{})
		if errors.Is(err, zinit.ErrNoServer) || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			z.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop zinit: it still answers on %s", socket)
		case <-time.After(wait):
		}
	}
}
