/** The version of this package and of the service that it was built with. */
export const VERSION = '0.1.0';
