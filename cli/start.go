package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/supnode/supnode/admin"
	"github.com/supnode/supnode/cli/config"
	"github.com/supnode/supnode/node"
)

// adminGrace is how long requests that are being served may take to end when the node has stopped.
const adminGrace = time.Second

func (c *command) start() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "start --config FILE", Short: "Start a node and keep it running until SIGTERM or SIGINT", Args: takes(),
		Long: "Start a node. SIGTERM, SIGINT or SIGHUP makes it leave: its children are handed over to other nodes first, for at most\n" +
			"node.shutdown_timeout. A second signal stops it at once.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("name the node's config file: supnode start --config n1.yaml")
			}
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			signals := make(chan os.Signal, 2)
			signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
			defer signal.Stop(signals)
			return c.program.runNode(cmd.Context(), cfg, newLogger(cfg.Log, c.Err), signals)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the node's config file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	return cmd
}

func newLogger(l config.Log, out io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "supnode", Level: hclog.LevelFromString(l.Level), JSONFormat: l.JSON, Output: out,
		TimeFn: func() time.Time { return time.Now().UTC() }, TimeFormat: "2006-01-02T15:04:05.000Z",
	})
}

// runNode runs a node with its admin server until a signal, or until it ends by itself. A first signal makes it leave, a
// second one stops it now.
func (p Program) runNode(ctx context.Context, cfg *config.Config, log hclog.Logger, signals <-chan os.Signal) error {
	log.Info("starting "+string(cfg.Node.Name), "admin", cfg.Admin.URL(), "node_port", cfg.Node.RPC.Listen,
		"data_dir", cfg.Node.DataDir, "version", build())
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	cert, key := "", ""
	if cfg.Admin.TLS != nil {
		cert, key = cfg.Admin.TLS.Cert, cfg.Admin.TLS.Key
	}
	server, err := admin.Listen(cfg.Admin.Listen, cert, key, log.Named("admin"))
	if err != nil {
		return err
	}
	server.Handle(admin.Starting())
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	cfg.Node.Logger, cfg.Node.Version, cfg.Node.Behaviors, cfg.Node.Selectors = log, build(), p.Behaviors, p.Selectors
	n, err := startUnlessSignalled(ctx, cfg.Node, signals)
	if err != nil {
		return errors.Join(err, server.Close(0))
	}
	handler, err := admin.New(n, admin.Options{Logger: log.Named("admin"), Tokens: cfg.Admin.Tokens})
	if err != nil {
		return errors.Join(err, n.Close(), server.Close(0))
	}
	server.Handle(handler)
	log.Info(string(cfg.Node.Name) + " runs")
	err = p.untilEnd(ctx, n, log, signals, served)
	return errors.Join(err, server.Close(adminGrace))
}

// startUnlessSignalled starts a node; a signal gives up what it waits for.
func startUnlessSignalled(ctx context.Context, cfg node.Config, signals <-chan os.Signal) (*node.Node, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type started struct {
		node *node.Node
		err  error
	}
	done := make(chan started, 1)
	go func() {
		n, err := node.Start(ctx, cfg)
		done <- started{n, err}
	}()
	select {
	case s := <-done:
		return s.node, s.err
	case sig := <-signals:
		cancel()
		s := <-done
		if s.err == nil {
			s.err = s.node.Close()
		}
		return nil, errors.Join(fmt.Errorf("%s while starting", sig), s.err)
	}
}

// untilEnd runs the program's own part and returns when the node is over.
func (p Program) untilEnd(ctx context.Context, n *node.Node, log hclog.Logger, signals <-chan os.Signal, served <-chan error) error {
	own := p.begin(ctx, n)
	var failure error
	select {
	case <-n.Done():
		own.end(adminGrace, nil, log)
		return n.Err()
	case failure = <-own.failed:
		log.Error("leaving", "error", failure)
	case failure = <-served:
		log.Error("the admin server ended", "error", failure)
	case sig := <-signals:
		log.Info("leaving; a second signal stops at once", "signal", sig.String())
	case <-ctx.Done():
	}
	left := make(chan error, 1)
	now := make(chan struct{})
	go func() {
		own.end(n.ShutdownTimeout(), now, log)
		select {
		case <-now:
			left <- nil
		default:
			left <- n.Leave(context.WithoutCancel(ctx))
		}
	}()
	select {
	case err := <-left:
		return errors.Join(failure, err)
	case sig := <-signals:
		log.Info("stopping now", "signal", sig.String())
	}
	close(now)
	err := n.Close()
	<-left
	return errors.Join(failure, err)
}
