namespace Algorithm
{
    /// <summary>Greets whoever the input names.</summary>
    public static class Algorithm
    {
        /// <summary>Called for each request, with its input: a string, bytes, or what the JSON says.</summary>
        public static object Apply(object input)
        {
            return "hello " + input;
        }

        /// <summary>Waits for requests; only the platform starts this.</summary>
        public static void Main()
        {
            Pipe.Serve(Apply);
        }
    }
}
