// Sub-pages of a section, as links: each has its own address.
import { Link, usePath } from '../router';

export function Tabs({ label, tabs }: { label: string; tabs: readonly { href: string; title: string }[] }) {
  const path = usePath();
  return (
    <div className="tabs" role="navigation" aria-label={label}>
      {tabs.map((tab) => (
        <Link key={tab.href} href={tab.href} aria-current={path === tab.href ? 'page' : undefined} className={path === tab.href ? 'on' : ''}>
          {tab.title}
        </Link>
      ))}
    </div>
  );
}
