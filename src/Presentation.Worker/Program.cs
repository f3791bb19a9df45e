using Starlight.Presentation.Worker;
using Starlight.Presentation.Worker.Configuration;

return await new DaemonArguments().Build(DaemonHost.RunAsync).Parse(args).InvokeAsync();
