package zzdemo
import ("testing";"os";"time";"github.com/rs/zerolog")
func TestZ(t *testing.T){ s:=time.Now(); p:=time.Duration(0); if e:=os.Getenv("PACE");e!=""{p,_=time.ParseDuration(e)}
 err:=RunDemo(t.Context(),DemoOptions{Seed:1,Pace:p,Out:os.Stdout,JSON:os.Getenv("J")!="",Log:zerolog.New(os.Stderr).Level(zerolog.WarnLevel)}); t.Log(err,time.Since(s))}
