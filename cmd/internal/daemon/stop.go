package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	names, err := services(ctx, f, z)
	if err != nil {
		return err
	}
	err = endServices(ctx, f, z, names, func(n string) bool { return strings.HasPrefix(n, f.ServicePrefix()) })
	if err != nil || !ours {
		return err
	}
	return endZinit(ctx, f, z)
}

// endZinit ends the process manager of the folder, if that is what listens there.
func endZinit(ctx context.Context, f *state.Folder, z *zinit.Client) error {
	if !keepsFolder(f) {
		return nil
	}
	if err := z.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop zinit: %w", err)
	}
	if err := gone(ctx, f.Socket("zinit")); err != nil {
		return err
	}
	return dropFiles(f)
}

// dropFiles removes the service files of ours that no zinit has listed: who was killed when he had made one, and not
// yet had it started, leaves it, and the next zinit would.
func dropFiles(f *state.Folder) error {
	files, err := os.ReadDir(f.Path("zinit"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove service files: %w", err)
	}
	var faults []error
	for _, file := range files {
		if strings.HasPrefix(file.Name(), f.ServicePrefix()) && filepath.Ext(file.Name()) == ".yaml" {
			faults = append(faults, os.Remove(filepath.Join(f.Path("zinit"), file.Name())))
		}
	}
	return errors.Join(faults...)
}

// services are those of the state folder that the process manager has, Redis last: an actor that ends a job
// wants to say so.
func services(ctx context.Context, f *state.Folder, z *zinit.Client) ([]string, error) {
	list, err := z.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("stop services: %w", err)
	}
	var names []string
	for n := range list {
		if strings.HasPrefix(n, f.ServicePrefix()) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if ra, rb := a == f.Service(redisService), b == f.Service(redisService); ra != rb {
			if ra {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

// endServices stops services (Redis last, as services has them), ends what of ours no zinit has in its hand, and
// removes them. All are stopped before one is removed: a zinit of the crate dialect may lose a service that runs when
// another is removed.
func endServices(ctx context.Context, f *state.Folder, z *zinit.Client, names []string, ours func(service string) bool) error {
	actors, redis := names, []string(nil)
	if n := len(names); n > 0 && names[n-1] == f.Service(redisService) {
		actors, redis = names[:n-1], names[n-1:]
	}
	var stopped []string
	var faults []error
	for _, some := range [][]string{actors, redis} {
		done, err := stopAll(ctx, z, some)
		stopped = append(stopped, done...)
		if err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) == 0 { // otherwise some are zinit's, and not left over
		if _, err := zinit.EndLeftovers(ctx, f.Dir, ours); err != nil {
			faults = append(faults, err)
		}
	}
	if ours(f.Service(redisService)) { // one that zinit has lost sight of
		if err := redisd.End(ctx, f.Path("redis"), redisEnd); err != nil {
			faults = append(faults, err)
		}
	}
	for _, n := range stopped {
		if err := z.Remove(ctx, n); err != nil {
			faults = append(faults, fmt.Errorf("remove %s: %w", n, err))
		}
	}
	return errors.Join(faults...)
}

// stopAll stops services, as many at one time as the client can, each with its own grace, and returns those that
// are stopped.
func stopAll(ctx context.Context, z *zinit.Client, names []string) (stopped []string, err error) {
	for some := range slices.Chunk(names, zinit.MaxStops) {
		faults := make([]error, len(some))
		var all sync.WaitGroup
		for i, n := range some {
			all.Go(func() { faults[i] = z.StopInItsTime(ctx, n) })
		}
		all.Wait()
		for i, n := range some {
			if faults[i] == nil {
				stopped = append(stopped, n)
			} else {
				err = errors.Join(err, fmt.Errorf("stop %s: %w", n, faults[i]))
			}
		}
	}
	return stopped, err
}

// EndMarked ends what the state folder's process manager has left when it is gone: actors, told by their marks, then
// Redis. What it knows of them stays with it.
func EndMarked(ctx context.Context, f *state.Folder) ([]zinit.Leftover, error) {
	ended, err := zinit.EndLeftovers(ctx, f.Dir, func(n string) bool { return strings.HasPrefix(n, f.ServicePrefix()) })
	if err != nil {
		return ended, err
	}
	return ended, redisd.End(ctx, f.Path("redis"), redisEnd)
}

// gone waits until nobody answers on the socket and it is removed, which its process
// does when it ends. One that was killed leaves it: that is gone too, when the time is over.
func gone(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, zinitEnd)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		z, err := zinit.Dial(ctx, socket, zinit.Options{})
		silent := errors.Is(err, zinit.ErrNoServer) || errors.Is(err, os.ErrNotExist)
		if _, left := os.Lstat(socket); silent && errors.Is(left, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			z.Close()
		}
		select {
		case <-ctx.Done():
			if silent {
				return nil
			}
			return fmt.Errorf("stop zinit: it still answers on %s", socket)
		case <-time.After(wait):
		}
	}
}
