package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server of one run.
type server struct {
	*redis.Client
	socket string
	url    string
}

// redisServer starts one with the settings that herosup gives its own.
func (e *env) redisServer(ctx context.Context) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{socket: filepath.Join(e.dir, "r.sock")}
	s.url = "unix://" + s.socket
	args := []string{
		"--bind", "127.0.0.1", "--port", port, "--unixsocket", s.socket, "--unixsocketperm", "700",
		"--dir", e.dir, "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no",
	}
	if e.o.redis == "none" {
		args = append(args, "--appendonly", "no")
	} else {
		args = append(args, "--appendonly", "yes", "--appendfsync", e.o.redis)
	}
	if _, err := e.start(ctx, "redis", "redis-server", args, nil); err != nil {
		return nil, err
	}
	s.Client = redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket, MaxRetries: -1})
	e.after(s.Client.Close)
	return s, eventually(ctx, 10*time.Second, "redis-server answers", func() (bool, error) {
		return s.Ping(ctx).Err() == nil, nil
	})
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// info reads one number of INFO.
func (s *server) info(ctx context.Context, section, field string) (float64, error) {
	text, err := s.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("INFO %s: no %s", section, field)
}

// cpu is Redis' processor time so far, in microseconds.
func (s *server) cpu(ctx context.Context) (float64, error) {
	user, err := s.info(ctx, "cpu", "used_cpu_user")
	if err != nil {
		return 0, err
	}
	sys, err := s.info(ctx, "cpu", "used_cpu_sys")
	return (user + sys) * 1e6, err
}

// calls is how often each command ran, from outside and by scripts alike.
func (s *server) calls(ctx context.Context) (map[string]float64, error) {
	return s.commandStats(ctx, "calls=")
}

// scriptTime is the time spent in scripts so far, in microseconds.
func (s *server) scriptTime(ctx context.Context) (float64, error) {
	usec, err := s.commandStats(ctx, "usec=")
	return usec["evalsha"] + usec["eval"], err
}

// commandStats reads one figure of each command.
func (s *server) commandStats(ctx context.Context, figure string) (map[string]float64, error) {
	text, err := s.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.SplitSeq(text, "\r\n") {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if !ok {
			continue
		}
		for field := range strings.SplitSeq(rest, ",") {
			if v, ok := strings.CutPrefix(field, figure); ok {
				n, err := strconv.ParseFloat(v, 64)
				if err != nil {
					return nil, err
				}
				out[name] = n
			}
		}
	}
	return out, nil
}
