using System.CommandLine;
using Starlight.Presentation.Proxy;

// The host handles signals itself: it stops accepting, lets running answers finish and then ends.
InvocationConfiguration configuration = new() { ProcessTerminationTimeout = null };
return await ProxyCommand.Create(ProxyHost.RunAsync).Parse(args).InvokeAsync(configuration);
