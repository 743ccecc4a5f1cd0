using System;

namespace Matrix
{
    /// <summary>What is to be known of the runtime, apart from any upgrade.</summary>
    public static class Runtime
    {
        public static readonly bool IsMono = Type.GetType("Mono.Runtime") != null;

        /// <summary>
        /// Whether Send and Write give up when nothing more is taken, be it for Blocking = false or for a time limit:
        /// Mono's try again for ever, on any socket.
        /// </summary>
        public static bool SendReturnsWhenFull
        {
            get { return !IsMono; }
        }
    }
}
