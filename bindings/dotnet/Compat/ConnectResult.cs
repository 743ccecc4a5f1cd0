using System;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace SslSock.Compat
{
    /// <summary>What BeginConnect of a secure socket answers.</summary>
    internal sealed class ConnectResult : IAsyncResult
    {
        private readonly Socket owner;
        private readonly AsyncCallback callback;
        private readonly ManualResetEvent completed = new ManualResetEvent(false);
        private ExceptionDispatchInfo problem;
        private volatile bool isCompleted;
        private int isEnded;

        internal ConnectResult(Socket owner, AsyncCallback callback, object state)
        {
            this.owner = owner;
            this.callback = callback;
            AsyncState = state;
        }

        public object AsyncState { get; }

        public WaitHandle AsyncWaitHandle => completed;

        public bool CompletedSynchronously => false;

        public bool IsCompleted => isCompleted;

        /// <summary>Does the work, and tells whoever waits. What the callback throws is the program's affair.</summary>
        internal void Complete(Action work)
        {
            try
            {
                work();
            }
            catch (Exception thrown)
            {
                problem = ExceptionDispatchInfo.Capture(thrown);
            }
            isCompleted = true;
            completed.Set();
            callback?.Invoke(this);
        }

        internal void End(Socket socket)
        {
            if (owner != socket)
            {
                throw new ArgumentException("this is the result of another socket's BeginConnect", "asyncResult");
            }
            if (Interlocked.Exchange(ref isEnded, 1) != 0)
            {
                throw new InvalidOperationException("EndConnect can be called once only for a BeginConnect");
            }
            completed.WaitOne();
            problem?.Throw();
        }
    }
}
