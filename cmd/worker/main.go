// Command worker tunes and watches models over NATS.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/app"
	"github.com/visutility/retune/internal/bus"
)

// commands are the subcommands, one file each. Their Run methods may ask for
// context.Context, which ends at SIGINT or SIGTERM, app.Globals, io.Reader
// (standard input), io.Writer (standard output) and standardError.
type commands struct {
	globals
	Run      runCommand      `cmd:"" default:"withargs" help:"Answer reports with configs, watch metrics, run studies (the default)."`
	Publish  publishCommand  `cmd:"" help:"Publish reports from JSON Lines or CSV."`
	Watch    watchCommand    `cmd:"" help:"Print configs, stops, retrain events, summaries and dead letters."`
	Study    studyCommand    `cmd:"" help:"Start, stop, list, show and export studies."`
	Agent    agentCommand    `cmd:"" help:"Evaluate trials by running a program."`
	Baseline baselineCommand `cmd:"" help:"Have a model's monitor begin anew: what comes next is normal."`
	Hook     hookCommand     `cmd:"" help:"Run a program per retrain event."`
	Tune     tuneCommand     `cmd:"" help:"Tune a program on this machine: study, agents and worker in one."`
	Replay   replayCommand   `cmd:"" help:"Tell what other monitors would have fired, over stored reports or a file."`
	Ready    readyCommand    `cmd:"" help:"Ask a worker whether it is ready: exit code 0, or 1 and why not."`
	Bench    benchCommand    `cmd:"" help:"Measure throughput and latency beside the floor."`
	Show     showCommand     `cmd:"" help:"Show workers and models, or all that is stored of one model."`
	Demo     demoCommand     `cmd:"" help:"Show the whole loop on one screen, in half a minute."`
}

// globals are the flags of all commands.
type globals struct {
	Config    string           `type:"path" placeholder:"FILE" help:"A worker.yaml; no file is read unless it is named here."`
	Prefix    string           `env:"RETUNE_PREFIX" default:"retune" help:"Of all subjects, streams and buckets."`
	NATS      string           `name:"nats" env:"NATS_URL" placeholder:"URL" help:"Address of NATS; several with commas."`
	Context   string           `placeholder:"NAME" help:"Context of the nats CLI to connect with."`
	Creds     string           `type:"path" placeholder:"FILE" help:"Credentials: JWT and seed."`
	NKey      string           `name:"nkey" type:"path" placeholder:"FILE" help:"NKey seed."`
	TLSCA     string           `name:"tls-ca" type:"path" placeholder:"FILE" help:"Certificates to trust."`
	TLSCert   string           `name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate to show."`
	TLSKey    string           `name:"tls-key" type:"path" placeholder:"FILE" help:"Its key."`
	LogLevel  string           `default:"info" enum:"debug,info,warn,error" help:"Least level to log: ${enum}."`
	LogFormat string           `default:"auto" enum:"auto,console,json" help:"console or json; by default console on a terminal."`
	Version   kong.VersionFlag `help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// untilHangup also ends ctx when the terminal closes, unless the process was started by nohup.
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// execute runs one command line and returns the exit code: 0 done, 1 failed, 2
// misused.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c commands
	parser := kong.Must(&c,
		kong.Name("worker"),
		kong.Description("Tunes hyper-parameters and watches models over NATS JetStream."),
		kong.Vars{"version": version()},
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdin, (*io.Reader)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
		kong.Bind(standardError{stderr}),
	)
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "worker: %v (worker --help lists commands and flags)\n", err)
		return 2
	}
	err = command.Run(c.forApp(stderr))
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintf(stderr, "worker: %v\n", err)
	if misuse := (*app.Misuse)(nil); errors.As(err, &misuse) {
		return 2
	}
	return 1
}

func (g globals) forApp(stderr io.Writer) app.Globals {
	return app.Globals{
		ConfigFile: g.Config,
		Prefix:     g.Prefix,
		NATS: bus.Connection{
			Name: "retune worker", URL: g.NATS, Context: g.Context, Creds: g.Creds, NKey: g.NKey,
			TLSCA: g.TLSCA, TLSCert: g.TLSCert, TLSKey: g.TLSKey,
		},
		Log:     g.logger(stderr),
		Version: version(),
	}
}

func (g globals) logger(stderr io.Writer) zerolog.Logger {
	level, _ := zerolog.ParseLevel(g.LogLevel) // the enum admits no other
	f, isFile := stderr.(*os.File)
	terminal := isFile && isatty.IsTerminal(f.Fd())
	if g.LogFormat == "console" || g.LogFormat == "auto" && terminal {
		stderr = zerolog.ConsoleWriter{Out: stderr, NoColor: !terminal || os.Getenv("NO_COLOR") != "", TimeFormat: "15:04:05"}
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	return zerolog.New(stderr).Level(level).With().Timestamp().Logger()
}
