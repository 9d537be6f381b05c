/** What a browser with scripts gets beside the pages, which work without. */
export {}
