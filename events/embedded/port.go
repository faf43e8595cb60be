package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func portFile(dir string) string { return filepath.Join(dir, "port") }

// listenAt decides the address: what is set, else loopback with the port kept
// from last time if it is still free, else any free one (-1 lets NATS choose).
func listenAt(cfg Config) (host string, port int, err error) {
	host = "127.0.0.1"
	if cfg.Listen != "" {
		h, p, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			return "", 0, fmt.Errorf("listen address %q: want host:port: %w", cfg.Listen, err)
		}
		if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
			return "", 0, fmt.Errorf("listen address %q: the port must be 0 to 65535", cfg.Listen)
		}
		// An empty host would mean every interface; that must be said openly
		// (0.0.0.0).
		if h != "" {
			host = h
		}
	}
	if port != 0 {
		if !free(host, port) {
			return "", 0, fmt.Errorf("listen address %s: in use (choose another, or port 0 for any)", net.JoinHostPort(host, strconv.Itoa(port)))
		}
		return host, port, nil
	}
	if kept := keptPort(cfg.Dir); kept != 0 {
		if free(host, kept) {
			return host, kept, nil
		}
		cfg.Log.Warn("nats", "reason", fmt.Sprintf("port %d, which was kept for us, is taken by others: another is used, "+
			"and contexts that name it have to be saved anew (herosup nats-context --save)", kept))
	}
	return host, -1, nil
}

func free(host string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return !errors.Is(err, syscall.EADDRINUSE) // other faults: let the server name them
	}
	_ = l.Close()
	return true
}

func keptPort(dir string) int {
	b, err := os.ReadFile(portFile(dir))
	if err != nil {
		return 0
	}
	p, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || p < 1 || p > 65535 {
		return 0
	}
	return p
}

func keepPort(dir string, port int) error {
	if keptPort(dir) == port {
		return nil
	}
	if err := os.WriteFile(portFile(dir), []byte(strconv.Itoa(port)+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep port: %w", err)
	}
	return nil
}
